pytest_plugins = ["live"]

"""Write what a Galaxy needs to be told: settings, tools, and tables of models and genomes.

Everything it would fetch is off: tools come from PATH, and from no tool shed.
"""

from __future__ import annotations

import csv
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

TOOLS = Path(__file__).resolve().parent
MODELS = TOOLS.parent / "kipoi_models"
TABLES = TOOLS / "tool_data_table_conf.xml.sample"
USER = "you@localhost.local"  # Galaxy wants a dot

Rows = list[dict[str, str]]


def write_configuration(
    root: Path,
    *,
    command: Path,
    key: str,
    single_user: bool,
    jobs: int,
    slots: int,
    genomes: Sequence[tuple[str, Path]],
    tables: Sequence[Path],
) -> Path:
    """Write everything into a server's folder, and give the place of its settings.

    The parameters are those of `serve.serving`; `key` is the API key of an admin.
    """
    config, data, programs = (root / name for name in ("config", "data", "bin"))
    for folder in (config, data, programs):
        folder.mkdir(parents=True, exist_ok=True)
    # The command alone: after its whole environment, jobs would take its Python for Galaxy's.
    link = programs / "enhancer-core"
    link.unlink(missing_ok=True)
    link.symlink_to(command.absolute())
    write_xml(config / "tool_sheds_conf.xml", Xml.Element("tool_sheds"))
    write_xml(config / "tool_conf.xml", toolbox())
    rows = {"enhancer_models": published_models(), "all_fasta": local_genomes(genomes)}
    tables = [write_tables(config, rows), *tables]
    settings = {
        "config_dir": str(config),
        "data_dir": str(data),
        "id_secret": lasting_secret(config),
        "bootstrap_admin_api_key": key,
        "admin_users": USER,
        "brand": "enhancer_core",
        "static_welcome_html": str(TOOLS / "welcome.html"),
        "tool_config_file": str(config / "tool_conf.xml"),
        "tool_sheds_config_file": str(config / "tool_sheds_conf.xml"),
        "tool_data_table_config_path": ",".join(map(str, tables)),
        "integrated_tool_panel_config": str(data / "integrated_tool_panel.xml"),
        "dependency_resolvers": [],
        "conda_auto_init": False,
        "conda_auto_install": False,
        "use_cached_dependency_manager": False,
        "enable_mulled_containers": False,
        "involucro_auto_init": False,
        "allow_path_paste": True,  # an admin may link a large genome where it lies
        "expose_dataset_path": True,  # planemo's assert_command reads the command from the job
        "static_images_dir": str(TOOLS / "images"),  # at /images: the pictures of the help
        "cleanup_job": "onsuccess",
        "job_config": job_settings(programs, jobs=jobs, slots=slots),
        **celery_settings(data),
    }
    if single_user:
        settings["single_user"] = USER
    path = config / "galaxy.yml"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"galaxy": settings}, indent=1))  # JSON is YAML
    return path


def lasting_secret(folder: Path) -> str:
    """Give the secret of ids in addresses and cookies, which stays with the data."""
    path = folder / "id_secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(16))
    return path.read_text()


def celery_settings(data: Path) -> dict[str, Any]:
    """Hand uploads and metadata to Celery: a tool's test then takes 6 s, not 20 s."""
    apart = {f"galaxy.{task}": "galaxy.external" for task in ("fetch_data", "set_job_metadata")}
    return {
        "enable_celery_tasks": True,
        "metadata_strategy": "directory_celery",
        "amqp_internal_connection": f"sqlalchemy+sqlite:///{data}/broker.sqlite",
        "celery_conf": {
            "broker_url": None,  # as amqp_internal_connection
            "result_backend": f"db+sqlite:///{data}/results.sqlite",
            "task_routes": apart,
        },
    }


def job_settings(programs: Path, *, jobs: int, slots: int) -> dict[str, Any]:
    """Run jobs on this machine, with a folder of programs first on their PATH."""
    here = {
        "runner": "local",
        "local_slots": slots,
        "live_tool_output_reporting": True,  # a job's page shows what it says as it runs
        "tmp_dir": True,  # within the job's folder, and gone with it
        "env": [{"name": "PATH", "value": f"{programs}:$PATH"}],
    }
    runner = {"load": "galaxy.jobs.runners.local:LocalJobRunner", "workers": jobs}
    return {
        "runners": {"local": runner},
        "execution": {"default": "here", "environments": {"here": here}},
    }


def toolbox() -> Xml.Element:
    """List Galaxy's upload and the tools of this folder, as the panel shows them."""
    box = Xml.Element("toolbox")
    upload = Xml.SubElement(box, "section", id="getext", name="Get Data")
    Xml.SubElement(upload, "tool", file="data_source/upload.xml")
    ours = Xml.SubElement(box, "section", id="enhancer_core", name="Enhancers")
    for path in tool_files():
        Xml.SubElement(ours, "tool", file=str(path))
    return box


def tool_files() -> list[Path]:
    """Give the tools of this folder: its XML files but for the macros."""
    return [path for path in sorted(TOOLS.glob("*.xml")) if Xml.parse(path).getroot().tag == "tool"]


def write_tables(folder: Path, rows: dict[str, Rows]) -> Path:
    """Write each data table of our tools with its rows, and give the configuration of all."""
    configuration = Xml.parse(TABLES).getroot()
    for table in configuration.iterfind("table"):
        name = table.attrib["name"]
        columns = table.findtext("columns", "").replace(",", " ").split()
        lines = ["\t".join(row[column] for column in columns) for row in rows[name]]
        path = folder / f"{name}.loc"
        path.write_text("".join(f"{line}\n" for line in lines))
        for file in table.iterfind("file"):
            file.set("path", str(path))
    path = folder / "tool_data_table_conf.xml"
    write_xml(path, configuration)
    return path


def published_models() -> Rows:
    """List the models of `kipoi_models/` as rows of the table `enhancer_models`."""
    rows = []
    for table in sorted(MODELS.glob("*/models.tsv")):
        with table.open(newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                name, short = row["model"], row["sha256"][:12]
                rows.append(
                    {
                        "value": f"{table.parent.name}/{name}",
                        "name": f"{name} ({row['species']}, {row['kind']}, {row['length']} bp)",
                        "path": str(table.parent / "weights" / f"{name}-{short}.safetensors"),
                    }
                )
    return rows


def local_genomes(genomes: Sequence[tuple[str, Path]]) -> Rows:
    """Make rows of the table `all_fasta` of names and files."""
    return [
        {"value": name, "dbkey": name, "name": name, "path": str(path.absolute())}
        for name, path in genomes
    ]


def write_xml(path: Path, element: Xml.Element) -> None:
    """Write a configuration."""
    Xml.ElementTree(element).write(path, encoding="utf-8")

"""The networks on a GPU: several of one architecture as one program, in PyTorch.

A mini-batch of one of these networks is too little work for a GPU, and a step of it too many calls.
So networks are stacked: weights are (R, p), every layer is one batched matrix product, data stay on
the device as base codes, and a whole step is recorded as a CUDA graph and replayed. `Program`
trains, `GpuPredictor` predicts; both run on any device, which is how they are tested. Nothing waits
for the device but `Program.evaluate`, so that a CUDA graph can hold all the rest.
"""

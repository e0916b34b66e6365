"""The machine and the process: files, seeds, devices, memory, configuration, progress."""

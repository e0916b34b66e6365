"""Samplers: functions from noise to data.

Each module has one `sample(denoise, process, x_init, *, timesteps, ...)`. They call no network of
their own, know no batch record, and draw only from the noise source they are given.
"""

"""The Genie family: diffusion over C-alpha Frenet frames."""

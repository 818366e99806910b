"""The files of a variant, and the manifest that names them."""

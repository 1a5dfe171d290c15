"""syncd: an offline-first sync server. Apps import `syncd.app`; everything else is the server's own."""

__version__ = "0.1.0"

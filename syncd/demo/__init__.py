"""`syncd demo`: a real match, scored on two phones without signal, merged, and held against the record.

Real processes, real HTTP and WebSocket, real SQLite files. The story is in `script.py`, who plays it in `play.py`, and
what is checked afterwards in `audit.py`: against a journal that the SDK neither writes nor sees.
"""

"""What an operator asks of a server or its file, one module for each command of the command line.

Each is a plain function or coroutine that says what it does through an `Output` and returns an exit code, or raises
`SyncdError` for what could not be done. They know neither typer nor SQL: the declarations are in
syncd/cli_look.py and syncd/cli_data.py, the statements in syncd/store.
"""

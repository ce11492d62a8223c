"""What boards are made of: rows of runs as plain data, gathered from a run store and compared.

``gather`` reads a suite from the store. ``analyse`` and ``across`` compare complete rows; they are
computed once per grid or board and remembered by it.
"""

"""Published numbers and sizes of systems, each digit with its source; read, never measured."""

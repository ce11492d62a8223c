"""Questions of a suite as batch files, and answers out of them: the same journal, the same rows."""

__all__ = ["exchange", "offline"]

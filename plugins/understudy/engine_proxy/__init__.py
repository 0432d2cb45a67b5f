"""What stands between the containers of the stack and the socket of its Docker engine.

It reads a request, decides, and asks the engine in words of its own: a path that it wrote, the id of a container that
it has looked at, a description that it has parsed and written anew. Nothing that a client wrote reaches the engine, but
the files for a container and what is said to one that runs.
"""

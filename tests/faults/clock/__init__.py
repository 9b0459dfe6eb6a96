"""Put on the path of a server's processes: see `sitecustomize.py`."""

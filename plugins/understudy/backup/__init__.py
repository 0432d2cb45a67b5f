"""Take everything that cannot be made again to a folder, and bring it back, each with proof that it is whole.

The order is the argument. What refers is read before what it refers to: the ledger names versions and data, so it is
read first; MLflow's database names artefacts; the registry of data names objects of the store. Each of those is written
before it is named and never changed afterwards, so whatever an earlier part of the backup names is still to be found
when a later part is read, although everything goes on meanwhile. Restoring goes the other way, the ledger last: a
restore that breaks off leaves things that nothing names, never names without things.
"""

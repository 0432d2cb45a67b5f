"""Airflow and MLflow on one machine, with nothing to prepare: all state below one directory, all ports on this host."""

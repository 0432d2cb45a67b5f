"""The cockpit within Airflow's API server: one server for all files."""

"""Who may do what in an Airflow with accounts of its own: the roles, as code."""

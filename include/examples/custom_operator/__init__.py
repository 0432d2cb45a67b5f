"""An operator of a team's own: what runs in Airflow is in ``balance.py``, what runs in the container in ``stage/``."""

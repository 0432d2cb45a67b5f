"""The shared words: what Airflow, the containers and the command line agree on. Pure; imports nothing of Understudy."""

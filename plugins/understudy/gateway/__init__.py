"""Room 5, serving: the champion answers, its mirror rehearses unseen, everything is logged. Never imports airflow."""

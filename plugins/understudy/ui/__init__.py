"""The Airflow UI pages: read models of ledger and Airflow, and the pages that show them."""

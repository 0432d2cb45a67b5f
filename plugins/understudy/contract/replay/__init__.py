"""A model's past under other retraining policies: what is asked, what was found, what to take."""

"""What readers see: failure text, Allure, plots, terminal summary, JSON."""

"""Configuration and plugin for Allure 3: categories it would otherwise ignore, and the front page as a page of the report."""

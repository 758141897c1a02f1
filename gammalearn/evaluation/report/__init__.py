"""The report and what it is made of: pictures, tables, numbers, where they come from."""

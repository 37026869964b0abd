"""What a stack is: its configuration as frozen, validated objects.

Read once, by `load()` in `components/configuration.py`; everything else in the program takes these objects. Field names
here are snake_case, in the YAML files camelCase. An unknown field is an error, so that a typo cannot silently leave a
safety setting at its default.
"""

"""The exercises, solved. `tinyconv course new` writes each file with the body of every backward function
taken out (blank.py).
"""

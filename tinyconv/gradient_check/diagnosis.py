def diagnose(oracle, dy, found, comparisons):
    return ()

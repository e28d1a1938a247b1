"""One JSON line per result, to the screen and, if asked, to a file."""

import json


def emit(result, output=None):
    line = json.dumps(result)
    print(line, flush=True)
    if output:
        with open(output, "a", encoding="utf-8") as file:
            file.write(line + "\n")

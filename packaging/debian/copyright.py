"""placeholder"""
import argparse, pathlib
p = argparse.ArgumentParser()
p.add_argument("--tree"); p.add_argument("--version"); p.add_argument("--head")
print(pathlib.Path(p.parse_args().head).read_text())

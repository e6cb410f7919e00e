"""The rows that a run of the benchmark makes: what was measured, against what, and whether that is enough."""
import json


class Table:
    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, peer=None, peer_value=None, target=None, of="value", digits=3):
        """`peer_value` is in the same unit. The target is met if `of` ("value" or "ratio") is at most
        `target`; without a target the row is reported only. Returns the row."""
        ratio = round(value / peer_value, 5) if peer_value else None
        judged = {"value": value, "ratio": ratio}[of]
        row = {"name": name, "value": round(value, digits), "unit": unit, "peer": peer,
               "peer_value": None if peer_value is None else round(peer_value, digits),
               "ratio": ratio, "target": target,
               "met": None if target is None else judged is not None and judged <= target}
        self.rows.append(row)
        self._print(row, of)
        return row

    @staticmethod
    def _print(row, of):
        mark = {True: "ok", False: "MISSED", None: ""}[row["met"]]
        wanted = ""
        if row["target"] is not None:
            wanted = f"<= {row['target']:g}" + (" x" if of == "ratio" else f" {row['unit']}")
        print(f"{row['name']:58} {row['value']:>12g} {row['unit']:10} {wanted:>16} {mark}", flush=True)
        if row["peer"]:
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g} x"
            value = "" if row["peer_value"] is None else f"{row['peer_value']:g}"
            print(f"    {'against ' + row['peer']:54} {value:>12} {row['unit']:10} {ratio:>16}", flush=True)

    def missed(self):
        return [row["name"] for row in self.rows if row["met"] is False]

    def write(self, path):
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.rows, f, indent=2)
            f.write("\n")

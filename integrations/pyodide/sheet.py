"""The models of the spreadsheet program: plain Python, which knows nothing of who owns it."""

from array import array


class Formatter:
    def __init__(self, digits):
        self.digits = digits

    def format(self, value):
        return f"{value:.{self.digits}f}"


class Sheet:
    def __init__(self, name, values, formatter):
        self.name = name
        self.values = array("d", values)
        self.formatter = formatter
        self.listeners = []

    def listen(self, listener):
        self.listeners.append(listener)

    def set(self, index, value):
        if value < 0:
            raise ValueError(f"{self.name}: no negative values")
        self.values[index] = value
        for listener in self.listeners:
            listener(index, value)

    def report(self):
        rows = [[index, self.formatter.format(value)] for index, value in enumerate(self.values)]
        return {"name": self.name, "rows": rows}

    async def save(self):
        return sum(self.values)

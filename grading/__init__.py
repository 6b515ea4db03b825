"""For instructors: checks the workbooks of lesson 1 that students hand in.

The modules import the lessons. No lesson imports them, but for the command `workbook.py
check`. None needs matplotlib: workbooks are checked in new processes, and each would have
to load it.

    workbooks.py    check files, each with a limit on time and memory; the command
    report.py       the results as text, as a table, as CSV
    reading.py      read a file that may be hostile
    tables.py       find the tables in its sheets, and the learning rates they state
    columns.py      compare the computed columns, and say why one is wrong
    updates.py      the same for the updates of the weights, and the learning rate
    mistakes.py     the catalogue of mistakes that people make
    rounding.py     how far a number may be off because numbers were rounded
    quantities.py   the names and formulas that all of these share
    samples.py      write workbooks such as students hand in, right ones and wrong ones
"""

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
    your_turn.py    check the eight answers on the sheet Your turn
    samples.py      write workbooks such as students hand in, right ones and wrong ones

And the exercises, whose notebooks import what checks them:

    exercises.py    what a verdict is, and how it is reached; `check`
    answers.py      call an answer, and read its numbers
    lesson1.py      the checks of lesson 1
    networks.py     random networks, and all their right numbers
    diagnosis.py    say which mistake gives an answer's numbers
    slips.py        mistakes in code, beyond the catalogue's
    handouts.py     what the exercises of lesson 1 hand to a student

And what grades exercise notebooks that students hand in:

    notebooks.py    take the answers out of a notebook; a grade for each exercise
    attempt.py      run an answer between our own cells, and check it
    isolation.py    a process of its own, with limits on time and memory
    look.py         which answers somebody should read: those that reach beyond an exercise
    grades.py       the grades of a class as a table, as CSV
    sample_notebooks.py    write exercise notebooks such as students hand in
"""

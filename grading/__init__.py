"""For instructors: checks the workbooks of lesson 1 that students hand in.

The modules import the lessons. No lesson imports them, but for the command `workbook.py
check`. None needs matplotlib: workbooks are checked in new processes, and each would have
to load it.

    workbooks.py    check files, each with a limit on time and memory; the command
    verdicts.py     check the tables of one workbook; what is not there, or not checked
    report.py       the results as text, as a table, as CSV, as JSON
    reading.py      refuse what is no workbook; what all share about cells
    cells.py        read the XML: values and formulas in one pass
    headers.py      which quantity a header or a label names
    words.py        the words of headers in other languages
    families.py     name headers in unknown words, by the numbers below them
    views.py        tables whose epochs run across, or that go on on another sheet
    tables.py       find the tables in the sheets
    labels.py       find the numbers beside labels, and the learning rates that are stated
    constants.py    find a table's inputs and targets
    rates.py        find a table's learning rate, or one for each layer
    numbering.py    weights that are numbered in another way than the lesson's
    given.py        what a table starts from: inputs, targets, first weights
    columns.py      compare the computed columns
    updates.py      compare the updates of the weights
    causes.py       say why a column is wrong, and from which row on
    filling.py      which cells of a column have the same formula, copied
    parsing.py      a formula's text as an expression over cells
    references.py   what the cells of a formula are in the network
    differences.py  every difference between a formula and the right one, in words
    helpers.py      a mistake in a column of the student's own
    repairs.py      a student's own formula with the smallest repair
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

//! Files of other programs, read row by row.

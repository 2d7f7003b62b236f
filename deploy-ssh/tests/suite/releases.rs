//! Whole releases over SSH.

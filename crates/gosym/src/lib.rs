//! gosym

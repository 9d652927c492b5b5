//! goprof

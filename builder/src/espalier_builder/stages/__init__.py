"""A content-addressed cache of expensive build stages."""

"""The copy itself: from a vault's backing storage, over SSH, to a published tape at the target."""

"""Who carries tasks out: processes of this machine behind one small interface, so that other machines fit in."""

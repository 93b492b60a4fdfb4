"""Headers whose length begins as a pickle does."""

import io

import pytest

import spinetail as st


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_a_header_as_long_as_a_pickles_first_bytes(length):
    text = "x"
    while True:
        file = io.BytesIO()
        st.save({"text": text}, file)
        found = int.from_bytes(file.getvalue()[:8], "little")
        if found == length:
            break
        text += "x" * (length - found)
    file.seek(0)
    assert st.load(file) == {"text": text}

from foldwright.runtime.progress import Progress, ProgressFactory, silent


def test_silent_is_a_factory_of_progress(capsys):
    factory: ProgressFactory = silent
    with factory("work", 3) as bar:
        assert isinstance(bar, Progress)
        bar.advance()
        bar.advance(2, loss=0.5, name="x")
    assert capsys.readouterr() == ("", "")

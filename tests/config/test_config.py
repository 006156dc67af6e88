"""Flags: their types, where they are set, what is said of a wrong one."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import croton
from croton._config.sources import SourceError, read_file, read_flags, settings
from croton.config import Config, ConfigError, Flag, UnknownFlag

TALK = """[global]
floatX=float32
device=gpu
[mode]=FAST_RUN

[nvcc]
fastmath=True

[cuda]
root=/opt/nvidia/cuda
"""


def given(tmp_path, environment=None, **files):
    """A configuration from ``files`` (rc name to text) and ``environment``."""
    environment = dict(environment or {})
    for name, text in files.items():
        path = tmp_path / name
        path.write_text(text)
        environment[name] = str(path)
    environment.setdefault("CROTONRC", "")
    environment.setdefault("THEANORC", "")
    return Config(given=settings(environment))


def test_defaults_are_theanos():
    config = Config()
    assert config.floatX == "float64"
    assert config.device == "cpu"
    assert config.on_unused_input == "raise"
    assert config.compute_test_value == "off"
    assert config.cast_policy == "custom"
    assert config.dnn.conv.algo_fwd == "small"
    assert config.warn.subtensor_merge_bug is False
    assert config.source("floatX") == "default"


@pytest.mark.parametrize("name", ["algo_fwd", "algo_bwd_data", "algo_bwd_filter"])
@pytest.mark.parametrize("value", ["time_once", "time_on_shape_change", "guess_once", "none"])
def test_theanos_choice_of_an_algorithm(name, value):
    config = Config(given=settings({"THEANO_FLAGS": f"dnn.conv.{name}={value}", "THEANORC": ""}))
    assert config.convolution_choice == ("measured" if value.startswith("time") else "model")
    assert not config.without_effect()
    assert Config().convolution_choice == "model"
    ours = {"THEANO_FLAGS": f"dnn.conv.{name}={value}", "CROTON_FLAGS": "convolution_choice=model"}
    assert Config(given=settings(ours | {"THEANORC": ""})).convolution_choice == "model"


def test_the_talks_file_is_read_as_it_was_meant(tmp_path):
    config = given(tmp_path, THEANORC=TALK)
    assert config.floatX == "float32"
    assert config.device == "gpu"
    assert config.mode == "FAST_RUN"
    assert config.nvcc.fastmath is True
    assert config.cuda.root == "/opt/nvidia/cuda"
    assert config.source("mode").endswith("THEANORC:4")
    assert {flag.name for flag, _ in config.without_effect()} == {"nvcc.fastmath", "cuda.root"}


def test_precedence(tmp_path):
    rc = {"THEANORC": "[global]\nfloatX=float16\nthreads=1\nmode=FAST_RUN\nforce_device=True\n"}
    rc["CROTONRC"] = "floatX = float32\nthreads = 2\nmode = FAST_COMPILE\n"
    environment = {"THEANO_FLAGS": "floatX=float64,threads=3", "CROTON_FLAGS": "threads=4"}
    config = given(tmp_path, environment, **rc)
    assert (config.threads, config.floatX, config.mode) == (4, "float64", "FAST_COMPILE")
    assert config.force_device is True
    assert config.source("threads") == "CROTON_FLAGS"
    assert config.source("floatX") == "THEANO_FLAGS"
    assert config.source("mode") == f"{tmp_path / 'CROTONRC'}:3"


def test_a_list_of_files_where_the_last_is_the_strongest(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("[global]\nthreads=1\nfloatX=float32\n")
    second.write_text("[global]\nthreads=2\n")
    missing = tmp_path / "missing"
    rc = os.pathsep.join(map(str, (first, missing, second)))
    config = Config(given=settings({"THEANORC": rc, "CROTONRC": ""}))
    assert (config.threads, config.floatX) == (2, "float32")


def test_the_files_in_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".theanorc").write_text("[global]\nthreads=5\nfloatX=float32\n")
    (tmp_path / ".crotonrc").write_text("threads=6\n")
    config = Config(given=settings({}))
    assert (config.threads, config.floatX) == (6, "float32")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("floatX=float32", [("floatX", "float32")]),
        (" floatX = float32 , threads=2,", [("floatX", "float32"), ("threads", "2")]),
        ("gcc.cxxflags='-O3,-g',cxx=", [("gcc.cxxflags", "-O3,-g"), ("cxx", "")]),
        ("gcc.cxxflags=-DX=1", [("gcc.cxxflags", "-DX=1")]),
        ("", []),
        (" , ", []),
    ],
)
def test_a_list_of_flags(text, expected):
    assert [(s.name, s.text) for s in read_flags(text, "X", False)] == expected


def test_a_flag_without_a_value():
    with pytest.raises(SourceError, match=r"CROTON_FLAGS: 'profile' has no value"):
        list(read_flags("floatX=float32,profile", "CROTON_FLAGS", False))


def test_an_open_quote():
    with pytest.raises(SourceError, match="quotation"):
        list(read_flags("cxx='g++", "CROTON_FLAGS", False))


def read(tmp_path, text, environment=None):
    path = tmp_path / "rc"
    path.write_text(text)
    found = read_file(str(path), True, environment or {})
    return [(s.name, s.text, int(s.source.rpartition(":")[2])) for s in found]


def test_ini_syntax(tmp_path):
    text = """# a comment
[global]   ; another
FLOATX: float32
threads = 2 ; two

[gcc]
cxxflags = -O3
  -march=native
base = 50%
"""
    assert read(tmp_path, text) == [
        ("FLOATX", "float32", 3),
        ("threads", "2", 4),
        ("gcc.cxxflags", "-O3 -march=native", 7),
        ("gcc.base", "50%", 9),
    ]


def test_references(tmp_path):
    text = (
        "[global]\nbase_compiledir=%(TMPDIR)s/%(user)s\ncompiledir=%(base_compiledir)s/c\nx=%%a%q"
    )
    got = {name: value for name, value, _ in read(tmp_path, text, {"TMPDIR": "/t", "USER": "ann"})}
    assert got == {"base_compiledir": "/t/ann", "compiledir": "/t/ann/c", "x": "%a%q"}


def test_a_reference_to_itself_ends(tmp_path):
    assert read(tmp_path, "[a]\nb=%(b)s") == [("a.b", "%(b)s", 2)]


def test_a_line_that_is_no_option(tmp_path):
    with pytest.raises(SourceError, match=r"rc:2: 'floatX float32': expected name = value"):
        read(tmp_path, "[global]\nfloatX float32\n")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "rc").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="cannot be read"):
        list(read_file(str(tmp_path / "rc"), False, {}))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("floatX=flot32", ["CROTON_FLAGS", "floatX=flot32", "float64, float32", "mean float32"]),
        ("flaotX=float32", ["CROTON_FLAGS", "'flaotX'", "did you mean floatX?"]),
        ("dnn.enabld=False", ["'dnn.enabld'", "dnn.enabled"]),
        ("threads=two", ["threads=two", "a whole number, at least 0"]),
        ("threads=-1", ["threads=-1", "at least 0"]),
        ("profile=yes", ["profile=yes", "True or False"]),
        ("device=tpu", ["device=tpu", "cpu, cuda"]),
        ("mode=FASTRUN", ["mode=FASTRUN", "did you mean FAST_RUN"]),
        ("lib.cnmem=lots", ["lib.cnmem=lots", "a number"]),
        ("zzz=1", ["'zzz'", "print(croton.config)"]),
        ("mine.own=1", ["'mine.own'"]),
    ],
)
def test_errors_name_the_flag_its_source_and_what_was_expected(tmp_path, flags, words):
    with pytest.raises(ConfigError) as error:
        given(tmp_path, {"CROTON_FLAGS": flags})
    for word in words:
        assert word in str(error.value)


def test_an_error_in_a_file_names_the_line(tmp_path):
    with pytest.raises(ConfigError, match=r"THEANORC:3: floatX=x: expected one of float64"):
        given(tmp_path, THEANORC="[global]\n\nfloatX=x\n")


def test_names_in_files_and_variables_ignore_case(tmp_path):
    config = given(tmp_path, {"THEANO_FLAGS": "nanguardmode.ACTION=warn"}, THEANORC="FLOATX=32")
    assert config.NanGuardMode.action == "warn"
    assert config.floatX == "float32"


def test_assignment_is_checked():
    config = Config()
    config.floatX = "float32"
    config.threads = 3
    config.dnn.conv.algo_fwd = "winograd"
    assert (config.floatX, config.threads) == ("float32", 3)
    assert config.source("threads") == "the program"
    with pytest.raises(ConfigError, match=r"floatX='f': expected one of"):
        config.floatX = "f"
    for wrong in (True, 1.5, None, "x"):
        with pytest.raises(ConfigError, match="threads"):
            config.threads = wrong
    with pytest.raises(ConfigError, match=r"lib\.cnmem"):
        config.lib.cnmem = None
    with pytest.raises(UnknownFlag, match="did you mean floatX"):
        config.floatx = "float32"
    with pytest.raises(ConfigError, match="fixed once croton is imported"):
        config.device = "cuda"
    with pytest.raises(ConfigError, match="cannot be deleted"):
        del config.floatX
    assert config.threads == 3


def test_the_spellings_of_a_value():
    config = Config()
    for text, value in (("1", True), ("true", True), ("0", False), ("False", False), (1, True)):
        config.profile = text
        assert config.profile is value
    config.optimizer = None
    assert config.optimizer == "None"
    config.dnn.enabled = True
    assert config.dnn.enabled == "True"
    config.lib.cnmem = 1
    assert config.lib.cnmem == 1.0
    config.cache_dir = "~/x"
    assert config.cache_dir == os.path.expanduser("~/x")


def test_a_mode_may_be_an_object():
    class Mode:
        def including(self, *tags):
            return self

        excluding = including

    config = Config()
    config.mode = mode = Mode()
    assert config.mode is mode
    with pytest.raises(ConfigError, match="or a Mode"):
        config.mode = object()


def test_reading_an_unknown_flag():
    config = Config()
    with pytest.raises(AttributeError, match=r"'floatx'; did you mean floatX\?"):
        config.floatx  # noqa: B018
    with pytest.raises(AttributeError, match=r"dnn\.enabled"):
        config.dnn.enable  # noqa: B018
    assert getattr(config, "nothing_like_it", 7) == 7


def test_change_flags():
    config = Config()
    with config.change_flags(floatX="float32", dnn__enabled="False") as inside:
        assert inside is config
        assert (config.floatX, config.dnn.enabled) == ("float32", "False")
        with config.change_flags({"floatX": "float16"}):
            assert config.floatX == "float16"
        assert config.floatX == "float32"
    assert (config.floatX, config.dnn.enabled) == ("float64", "auto")
    assert config.source("floatX") == "default"


def test_change_flags_around_a_function_that_calls_itself():
    config = Config()

    @config.change_flags([("threads", 2)])
    def countdown(n):
        seen.append(config.threads)
        config.threads = n + 10
        if n:
            countdown(n - 1)

    seen = []
    before = config.threads
    countdown(2)
    assert seen == [2, 2, 2]
    assert config.threads == before


def test_change_flags_puts_everything_back_after_an_error():
    config = Config()
    with (
        pytest.raises(ConfigError, match="threads"),
        config.change_flags(floatX="float32", threads="many"),
    ):
        raise AssertionError
    assert config.floatX == "float64"
    with pytest.raises(UnknownFlag, match="floatx"):
        config.change_flags(floatx="float32")
    with pytest.raises(ZeroDivisionError), config.change_flags(floatX="float32"):
        1 / 0  # noqa: B018
    assert config.floatX == "float64"


def test_threads_follow_openmp(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert Config().threads == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    with pytest.raises(ConfigError, match="OMP_NUM_THREADS='many'"):
        Config().threads  # noqa: B018
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert Config().threads == 0


def test_where_compiled_code_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/x/cache")
    assert Config().cache_dir == "/x/cache/croton"
    assert Config().compiledir == Config().cache_dir
    config = given(tmp_path, {"THEANO_FLAGS": "base_compiledir=/scratch/theano"})
    assert config.cache_dir == "/scratch/theano/croton"
    config = given(tmp_path, {"THEANO_FLAGS": "base_compiledir=/a,compiledir=/b"})
    assert config.cache_dir == "/b/croton"
    config = given(tmp_path, {"THEANO_FLAGS": "compiledir=/b", "CROTON_FLAGS": "cache_dir=~/c"})
    assert config.cache_dir == os.path.expanduser("~/c")


def test_flags_of_other_packages(tmp_path):
    config = given(tmp_path, THEANORC="[pthreads]\nlib=x.so\n")
    assert [s.name for s in config.undeclared()] == ["pthreads.lib"]
    config.add_flag(Flag("pthreads.lib", "str", "", "A library."))
    assert config.pthreads.lib == "x.so"
    assert not config.undeclared()
    with pytest.raises(ConfigError, match="already"):
        config.add_flag(Flag("floatX", "str", "", "Again."))


def test_a_device_that_is_not_there(tmp_path, caplog):
    config = given(tmp_path, {"THEANO_FLAGS": "device=gpu"})
    assert config.use_device(["cpu", "cuda0"]) == "gpu"
    assert config.use_device(["cpu"]) == "cpu"
    assert config.device == "cpu"
    assert "device=gpu is not available; using the CPU" in caplog.text
    caplog.clear()
    assert config.use_device(["cpu"]) == "cpu"
    assert not caplog.text
    config = given(tmp_path, {"THEANO_FLAGS": "device=cuda1,force_device=True"})
    with pytest.raises(ConfigError, match=r"device=cuda1 cannot be used .* there is: cpu"):
        config.use_device(["cpu"])


def test_printing_lists_every_flag(tmp_path):
    config = given(tmp_path, {"CROTON_FLAGS": "floatX=float32"})
    text = str(config)
    assert "floatX (float64|float32|float16)" in text
    assert "Value: float32\n    From: CROTON_FLAGS" in text
    assert len(config.flags()) == text.count("    Doc: ")
    assert "floatX" in dir(config)
    assert "conv" in dir(config.dnn)
    assert repr(config.dnn.conv).endswith("7 flags>")


def test_the_process_reads_its_environment(tmp_path):
    (tmp_path / ".theanorc").write_text(TALK)
    code = "from croton.config import config; print(config.floatX, config.mode)"
    environment = {**os.environ, "HOME": str(tmp_path), "CROTON_FLAGS": "mode=FAST_COMPILE"}
    for name in ("THEANO_FLAGS", "THEANORC", "CROTONRC"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "float32 FAST_COMPILE\n"
    assert done.stderr.count("\n") == 2
    assert "nvcc.fastmath" in done.stderr


def test_an_effective_flag_is_read_somewhere():
    # These are looked at where cache_dir and convolution_choice are worked out, device by the
    # configuration itself.
    here = {"base_compiledir", "compiledir", "device", "force_device"}
    here |= {f"dnn.conv.algo_{name}" for name in ("fwd", "bwd_data", "bwd_filter")}
    root = pathlib.Path(croton.__file__).parent
    parts = ("config.py", "_config", "cli")
    sources = [p for p in root.rglob("*.py") if p.relative_to(root).parts[0] not in parts]
    text = "\n".join(p.read_text() for p in sources)
    for flag in Config().flags():
        if flag.effect and flag.name not in here:
            assert re.search(rf"config\.{re.escape(flag.name)}\b", text), flag.name


def test_the_import_brings_no_command_line_tools():
    code = (
        "import sys; from croton.config import config; "
        "print({'configparser', 'typer', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_empty_path_is_no_directory():
    config = croton.config
    for name in ("cache_dir", "compiledir", "base_compiledir"):
        with pytest.raises(ConfigError, match=f"{name}='': expected a path"):
            setattr(config, name, "")

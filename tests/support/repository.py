"""Plain git for the tests of pull requests: a project, a fork of it, and the tree that a pull request is checked as."""

import shutil
import subprocess

GIT = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main",
       "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false"]  # fmt: skip


def git(place, *words):
    """Run git in a folder and return what it prints."""
    return subprocess.run([*GIT, "-C", str(place), *words], check=True, capture_output=True, text=True).stdout.strip()


def started(place):
    """Make a repository of what lies in a folder."""
    git(place.parent, "init", "-q", str(place))
    git(place, "add", "-A")
    git(place, "commit", "-qm", "first")
    return place


def forked(project, place):
    """Clone a project onto a branch of one's own."""
    git(place.parent, "clone", "-q", str(project), str(place))
    git(place, "checkout", "-qb", "mine")
    return place


def merged(project, fork, tmp_path):
    """Return the tree that a pull request is checked as: what it would be after the merge."""
    git(fork, "add", "-A")
    git(fork, "commit", "-qm", "an entry")
    tree = tmp_path / "pull"
    shutil.rmtree(tree, ignore_errors=True)
    git(tmp_path, "clone", "-q", str(project), str(tree))
    git(tree, "fetch", "-q", str(fork), "mine")
    git(tree, "merge", "-q", "--no-ff", "-m", "merge", "FETCH_HEAD")
    return tree

"""The files of the web page, without a browser: their types, the policy they come with, and what they may not hold."""

import re
from pathlib import Path

import pytest
from PIL import Image

import cooper

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
pytest.importorskip("httpx", reason="FastAPI's test client needs httpx")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from cooper.serving.web import routes

STATIC = Path(cooper.__file__).parent / "serving" / "web" / "static"
FILES = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())
TEXTS = [name for name in FILES if name.endswith((".html", ".css", ".js", ".svg"))]
TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "png": "image/png",
    "json": "application/json",
}


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    app.include_router(routes())
    return TestClient(app)


def policy_of(response):
    parts = [part.split() for part in response.headers["content-security-policy"].split(";")]
    return {name: sources for name, *sources in parts}


@pytest.mark.parametrize("name", FILES)
def test_a_file_comes_with_its_type_and_the_policy(client, name):
    response = client.get(f"/static/{name}")
    assert response.status_code == 200
    assert response.headers["content-type"].split(";")[0] == TYPES[name.rsplit(".", 1)[1]]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.content == (STATIC / name).read_bytes()


def test_the_policy_lets_nothing_in_from_elsewhere(client):
    policy = policy_of(client.get("/"))
    assert policy["default-src"] == ["'self'"]
    assert policy["img-src"] == ["'self'", "blob:", "data:"]
    assert all(policy[name] == ["'none'"] for name in ("object-src", "base-uri", "form-action", "frame-ancestors"))
    assert "unsafe" not in client.get("/").headers["content-security-policy"]


@pytest.mark.parametrize("name", TEXTS)
def test_no_file_names_an_address_elsewhere(name):
    text = (STATIC / name).read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.findall(r"(?:https?:|wss?:)?//[\w.-]+\.\w+|https?:|@import", text)


@pytest.mark.parametrize("name", [name for name in TEXTS if name.endswith((".js", ".html"))])
def test_nothing_is_read_as_html_or_as_code(name):
    text = (STATIC / name).read_text(encoding="utf-8")
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|\beval\b|new Function", text
    )
    assert not re.findall(r"\sstyle=|\son\w+=|javascript:", text)


def test_scripts_and_sheets_of_the_page_are_there(client):
    page = client.get("/").text
    named = re.findall(r'(?:src|href)="(static/[^"]+)"', page)
    imported = [f"static/{name}" for name in FILES if name.endswith(".js") and name not in ("theme.js", "app.js")]
    assert {"static/app.js", "static/theme.js", "static/style.css"} <= set(named)
    assert all(client.get(f"/{name}").status_code == 200 for name in named + imported)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_modules_import_only_what_is_there(name):
    found = re.findall(r'from "([^"]+)"', (STATIC / name).read_text(encoding="utf-8"))
    assert all(path.startswith("./") and (STATIC / path).is_file() for path in found)


@pytest.mark.parametrize(
    "path",
    [
        "pictures.txt",
        "nothing.js",
        "../page.py",
        "%2e%2e/page.py",
        "..%2f..%2fweb/page.py",
        "/etc/passwd",
        "pictures/",
        "<script>",
    ],
)
def test_what_is_no_file_of_the_page_is_not_served(client, path):
    response = client.get(f"/static/{path}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"


def test_there_are_six_small_pictures_with_questions(client):
    listed = client.get("/v1/pictures").json()
    assert listed["object"] == "list" and len(listed["data"]) == 6
    for each in listed["data"]:
        assert each["name"] and each["description"] and len(each["questions"]) >= 3
        assert client.get(f"/{each['url']}").headers["content-type"] == "image/png"
    pictures = sorted((STATIC / "pictures").glob("*.png"))
    assert sum(path.stat().st_size for path in pictures) <= 150_000
    assert all(Image.open(path).size == (128, 128) for path in pictures)
    assert {each["url"] for each in listed["data"]} == {f"static/pictures/{path.name}" for path in pictures}


def test_the_first_picture_is_the_demo_with_its_questions(client):
    demo = Path(cooper.__file__).parent / "assets" / "demo"
    first = client.get("/v1/pictures").json()["data"][0]
    assert client.get(f"/{first['url']}").content == (demo / "room.png").read_bytes()
    assert set(first["questions"]) <= set((demo / "questions.txt").read_text(encoding="utf-8").splitlines())

# cooper serve on CPU: docker build -t cooper .
# on CUDA: docker build -t cooper --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .
FROM python:3.11-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
RUN pip install "torch>=2.11,<2.14" --index-url "$TORCH_INDEX"
WORKDIR /opt/cooper
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip install ".[serve]" && useradd --create-home cooper \
    && install -d -o cooper -g cooper /home/cooper/traces  # a volume put there belongs to the same user
USER cooper
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=4)"
# COOPER_KEYS must be set: without a key the server refuses to listen to others
CMD ["cooper", "serve", "--host", "0.0.0.0", "--key-env", "COOPER_KEYS"]

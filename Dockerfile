# The platform and its console; without a command, the quickstart.
#
#   docker build -t moe-pot .
#   docker run --rm --shm-size 2g -v "$PWD/out:/work" moe-pot
#   docker run --rm --shm-size 2g -v "$PWD/out:/work" moe-pot foundation tasks
#   docker run --rm --shm-size 8g --gpus all -e DS_ACCELERATOR=cuda -v "$PWD/out:/work" moe-pot ...
#
# Batches travel between processes through shared memory, of which a container has 64 MB by itself.
FROM python:3.11-slim

# A compiler for `torch.compile`; the launcher of DeepSpeed asks for the machine's own addresses.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ hostname \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /moe-pot
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt --editable .

RUN useradd --create-home somebody && mkdir /work && chown somebody /work
USER somebody
WORKDIR /work
VOLUME /work
ENV DS_ACCELERATOR=cpu
CMD ["bash", "/moe-pot/launchers/quickstart.sh", "/work/quickstart"]

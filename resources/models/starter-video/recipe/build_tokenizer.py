"""Trains the caption tokenizer: SentencePiece unigram, UMT5's special ids, plus the same thing as tokenizer.json.

    python build_tokenizer.py --out out/tokenizer
"""
import argparse
import glob
import io
import json
import os
import pydoc_data.topics
import random
import re

import sentencepiece as spm

import world

WORDS = """the a an of to and in that it is was for on with as his they be at one have this from or had by not but what all were
when we there can your which their said if do will each about how up out them then she many some so these would other into has
more her two like him see time could no make than first been its who now people my made over did down only way find use may
water long little very after words called just where most know get through back much before go good new write our used me man
too any day same right look think also around another came come work three word must because does part even place well such here
take why things help put years different away again off went old number great tell men say small every found still between name
should home big give air line set own under read last never us left end along while might next sound below saw something thought
both few those always looked show large often together asked house world going want school important until form food keep children
feet land side without boy once animals life enough took sometimes four head above kind began almost live page got earth need far
hand high year mother light parts country father let night following picture being study second eyes soon times story boys since
white days ever paper hard near sentence better best across during today others however sure means knew try told young miles sun
ways thing whole hear example heard several change answer room sea against top turned learn point city play toward five using
himself usually money seen car morning slowly quickly gently fast slow camera video scene shot close wide view zoom pan tilt
beautiful bright dark soft warm cold golden silver black grey gray brown cyan magenta dog cat horse person woman girl child tree
flower forest river lake mountain beach street road bridge building window door cloud rain storm wind fire smoke grass leaf rock
train plane ship bicycle boat robot dragon castle garden island moon planet stars sky ocean waves reflection shadow sunrise sunset
""".split()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", default="out/tokenizer")
    p.add_argument("--captions", type=int, default=200_000)
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    rng = random.Random(1)
    lines = [world.caption(world.sample_spec(i, cuts=i % 10 == 0), i) for i in range(a.captions)]
    english = " ".join(pydoc_data.topics.topics.values())
    for f in glob.glob("/usr/share/common-licenses/*") + sorted(glob.glob(os.path.dirname(os.__file__) + "/*.py")):
        english += open(f, errors="ignore").read()
    for s in re.findall(r"[A-Za-z][a-z]+(?: [a-z]+){3,14}[.,]", english):
        lines.append(s)
    for _ in range(6000):
        lines.append(" ".join(rng.sample(WORDS, 9)))
    rng.shuffle(lines)
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, vocab_size=2048, model_type="unigram",
                                   pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", eos_piece="</s>", unk_piece="<unk>",
                                   normalization_rule_name="nmt_nfkc_cf", character_coverage=1.0, num_threads=2,
                                   input_sentence_size=400_000, minloglevel=1,
                                   required_chars="abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"-()&/")
    with open(os.path.join(a.out, "spiece.model"), "wb") as f:
        f.write(model.getvalue())
    sp = spm.SentencePieceProcessor(model_proto=model.getvalue())
    # the same model for the `tokenizers` library
    from sentencepiece import sentencepiece_model_pb2 as pb
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import Unigram
    proto = pb.ModelProto.FromString(model.getvalue())
    t = Tokenizer(Unigram([(q.piece, q.score) for q in proto.pieces], unk_id=2, byte_fallback=False))
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap),
                                         normalizers.Strip(left=True, right=True), normalizers.Replace(_re(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    t.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    t.add_special_tokens(["<pad>", "</s>", "<unk>"])
    t.save(os.path.join(a.out, "tokenizer.json"))
    json.dump({"tokenizer_class": "T5Tokenizer", "model_max_length": 64, "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>",
               "extra_ids": 0, "additional_special_tokens": [], "legacy": False, "add_prefix_space": True},
              open(os.path.join(a.out, "tokenizer_config.json"), "w"), indent=1)
    bad = 0
    tests = lines[:3000] + ["A Red Balloon, rises  SLOWLY!", "Zwei Vögel über dem Meer", "an astronaut's cat (1998) & a dog?"]
    for s in tests:
        bad += sp.encode(s) + [1] != t.encode(s).ids
    n = [len(sp.encode(l)) + 1 for l in lines[:20000]]
    print("pieces", sp.get_piece_size(), "mismatches", bad, "of", len(tests), "longest", max(n), "mean", sum(n) / len(n))
    print(sp.encode("A red balloon rises slowly over the sea at sunset.", out_type=str))


def _re(pattern):
    from tokenizers import Regex
    return Regex(pattern)


if __name__ == "__main__":
    main()

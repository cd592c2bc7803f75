# The headline experiment at nano's size: five models from the same data, steps and seeds. `make reproduce-nano`
#
#   base         direct answers, no lessons in drawing here
#   amg-only     lessons in drawing first, then direct answers; draws nothing when asked
#   perception   lessons in drawing first, then both maps before every answer
#   text         words only, after reinforcement (GRPO)
#   interleaved  words and the maps it chooses, after reinforcement with the cooperative reward
#
# All five begin with one network, the bundled one, and get AMG + SFT steps on the same scenes; `text` and `interleaved` share
# theirs, and get GRPO steps more. The bundled network has drawn before, so `amg-only` tells what more of it does for answers;
# BEGIN="" begins with fresh networks behind the bundled picture tower and autoencoder, and then takes AMG=2000 SFT=6000 or more.
# Whatever is stopped goes on: a finished file is not made again, an unfinished run continues from its checkpoint.
COOPER ?= .venv/bin/cooper
OUT ?= runs/reproduce
DATA ?= data/scenes
SEEDS ?= 1 2
TRAIN_SCENES ?= 2500
TEST_SCENES ?= 500
QUESTIONS ?= 2000
TRACES ?= 50  # questions of each run whose traces are kept; of all they would fill two gigabytes
FLAGGED ?= 720
AMG ?= 200
SFT ?= 300
GRPO ?= 45
MORE ?=  # further overrides of every training recipe

NANO := src/cooper/assets/nano
BEGIN ?= init=$(NANO)
RATE ?= 1.0e-3  # of a network that has learnt before; 2.0e-3 from nothing
ON = data=$(DATA)/train val=$(DATA)/val
AMG_ = $(COOPER) train amg --config recipes/nano/amg.yaml $(ON) autoencoder=$(NANO) vision=$(NANO) $(BEGIN) \
	scenes=$(TRAIN_SCENES) optimiser.learning_rate=$(RATE)
SFT_ = $(COOPER) train sft --config recipes/nano/sft.yaml $(ON) scenes=$(TRAIN_SCENES) optimiser.learning_rate=$(RATE) \
	"questions={grounding: 10, reading: 2, direct: 8, text: 6, interleaved: 3, perception: 2}"
GRPO_ = $(COOPER) train grpo --config recipes/nano/grpo.yaml $(ON) steps=$(GRPO) questions_seed=null scenes=$$(( $(FLAGGED) / 4 ))
EVAL = $(COOPER) eval scenes --data $(DATA)/test --limit $(QUESTIONS) --batch 64 --traces $(TRACES)
DIRECT = "mixture={grounding: 4, direct: 6}"
comma := ,
empty :=
runs = $(subst $(empty) ,$(comma),$(strip $(foreach s,$(SEEDS),$(OUT)/$s/eval-$1:$2)))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: study
study: $(foreach m,base amg-only perception reasoning text interleaved,$(foreach s,$(SEEDS),$(OUT)/$s/eval-$m/report.json))
	$(COOPER) study --out $(OUT)/study \
		base=$(call runs,base,direct) amg-only=$(call runs,amg-only,direct) perception=$(call runs,perception,perception) \
		text=$(call runs,text,text) interleaved=$(call runs,interleaved,interleaved) \
		text-before=$(call runs,reasoning,text) interleaved-before=$(call runs,reasoning,interleaved) \
		--beside "published (7B), interleaved over base, spatial mean=+6.91" \
		--beside "published (7B), AMG-only over base, distance and size=+7.92" \
		--beside "published (7B), interleaved over base, general mean=+4.47"

# data; the stamp says that the last scene is there
$(DATA)/train/.done:
	$(COOPER) scenes render --count $(TRAIN_SCENES) --split train --seed 1 --workers 2 --out $(@D) && touch $@
$(DATA)/val/.done:
	$(COOPER) scenes render --count 64 --split val --seed 2 --workers 2 --out $(@D) && touch $@
$(DATA)/test/.done:
	$(COOPER) scenes render --count $(TEST_SCENES) --split test --seed 3 --workers 2 --out $(@D) && touch $@

# models; % is the seed, and the stamp says that the last step is made. `fresh` has made one step, which is next to nothing: where all begin
$(OUT)/%/fresh/.done: $(DATA)/train/.done $(DATA)/val/.done
	$(AMG_) seed=$* out=$(OUT)/$*/fresh latents=$(OUT)/$*/latents optimiser.steps=1 $(MORE) && touch $@
$(OUT)/%/amg/.done: $(OUT)/%/fresh/.done
	$(AMG_) seed=$* out=$(OUT)/$*/amg latents=$(OUT)/$*/latents optimiser.steps=$(AMG) $(MORE) && touch $@
$(OUT)/%/base/.done: $(OUT)/%/fresh/.done
	$(SFT_) seed=$* init=$(OUT)/$*/fresh/model out=$(OUT)/$*/base latents=$(OUT)/$*/latents $(DIRECT) \
		optimiser.steps=$$(( $(AMG) + $(SFT) )) $(MORE) && touch $@
$(OUT)/%/amg-only/.done: $(OUT)/%/amg/.done
	$(SFT_) seed=$* init=$(OUT)/$*/amg/model out=$(OUT)/$*/amg-only latents=$(OUT)/$*/latents $(DIRECT) \
		optimiser.steps=$(SFT) $(MORE) && touch $@
$(OUT)/%/perception/.done: $(OUT)/%/amg/.done
	$(SFT_) seed=$* init=$(OUT)/$*/amg/model out=$(OUT)/$*/perception latents=$(OUT)/$*/latents \
		"mixture={grounding: 1, reading: 4, perception: 4, replay: 1.5}" optimiser.steps=$(SFT) $(MORE) && touch $@
$(OUT)/%/reasoning/.done: $(OUT)/%/amg/.done
	$(SFT_) seed=$* init=$(OUT)/$*/amg/model out=$(OUT)/$*/reasoning latents=$(OUT)/$*/latents \
		"mixture={grounding: 1, reading: 4, text: 2, interleaved: 3, replay: 1.5}" explore=0.5 optimiser.steps=$(SFT) $(MORE) && touch $@
$(OUT)/%/flags/flags.svg: $(OUT)/%/reasoning/.done
	$(COOPER) data flags --data $(DATA)/train --model $(OUT)/$*/reasoning/model --out $(@D) --seed $* --limit $(FLAGGED) --samples 4
$(OUT)/%/interleaved/.done: $(OUT)/%/flags/flags.svg
	$(GRPO_) seed=$* init=$(OUT)/$*/reasoning/model out=$(OUT)/$*/interleaved flags=$(OUT)/$*/flags/flags.jsonl $(MORE) && touch $@
$(OUT)/%/text/.done: $(OUT)/%/flags/flags.svg
	$(GRPO_) seed=$* init=$(OUT)/$*/reasoning/model out=$(OUT)/$*/text flags=$(OUT)/$*/flags/flags.jsonl \
		mode=text rewards.exploration=0 $(MORE) && touch $@

# answers
$(OUT)/%/eval-base/report.json: $(OUT)/%/base/.done $(DATA)/test/.done
	$(EVAL) --model $(OUT)/$*/base/model --mode direct --maps 0 --out $(@D)
$(OUT)/%/eval-amg-only/report.json: $(OUT)/%/amg-only/.done $(DATA)/test/.done
	$(EVAL) --model $(OUT)/$*/amg-only/model --mode direct --maps 0 --out $(@D)
$(OUT)/%/eval-perception/report.json: $(OUT)/%/perception/.done $(DATA)/test/.done
	$(EVAL) --model $(OUT)/$*/perception/model --mode perception --maps 100 --out $(@D)
$(OUT)/%/eval-reasoning/report.json: $(OUT)/%/reasoning/.done $(DATA)/test/.done
	$(EVAL) --model $(OUT)/$*/reasoning/model --mode interleaved,text --maps 100 --out $(@D)
$(OUT)/%/eval-text/report.json: $(OUT)/%/text/.done $(DATA)/test/.done
	$(EVAL) --model $(OUT)/$*/text/model --mode text --maps 0 --out $(@D)
$(OUT)/%/eval-interleaved/report.json: $(OUT)/%/interleaved/.done $(DATA)/test/.done
	$(EVAL) --model $(OUT)/$*/interleaved/model --mode interleaved --maps 100 --out $(@D)
